"""What a report shows, as markup."""
