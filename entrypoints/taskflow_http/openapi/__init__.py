"""The OpenAPI 3.1 document and an `.http` file, made of the table of routes."""
