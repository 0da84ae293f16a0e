"""What the product does, a folder per concern; knows neither HTTP handlers nor SQL."""
