"""What Ibid knows, and where it is kept: values, tables, vectors."""
