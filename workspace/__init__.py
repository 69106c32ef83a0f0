"""What surrounds a graph: projects, and tables that become graphs."""
