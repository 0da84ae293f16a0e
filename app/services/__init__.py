"""What other services of the team may ask."""
