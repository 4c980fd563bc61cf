"""Features and labels at an instant, built from facts: what each means, and the SQL that makes it."""
