"""How codes lie in memory: bijections between integer codes and bytes, words and tiles, and nothing else."""
