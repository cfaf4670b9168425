"""What a report shows: the numbers of each figure and table, from the document alone, nothing drawn yet."""
