"""What surrounds a graph: projects, and the files that graphs come from and become."""
