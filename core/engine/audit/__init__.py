"""The audit: does the program tell the truth? Each row of the scorecard is measured, then judged by a bar."""
