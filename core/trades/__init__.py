"""What becomes of a plan: the lifecycle on the 1-minute path, its money, and figures over many trades. Pure."""
