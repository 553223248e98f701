"""What contestants must leave alone, watched and put back."""
