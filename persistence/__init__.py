"""PostgreSQL: the embedded server, the pool, the operation log and one module per aggregate."""
