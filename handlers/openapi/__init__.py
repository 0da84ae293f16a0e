"""The routes described, as data, and what is made of that: OpenAPI and Postman."""
