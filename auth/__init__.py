"""People, roles and the one policy that every door asks."""
