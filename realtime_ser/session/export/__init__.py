"""A session in the formats that other tools read. All times come from sample indices; abstentions stay abstentions."""
