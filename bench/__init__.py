"""How fast the program is, as ratios against peers and limits measured in the same run. `make bench`."""
