"""The filter-bank explorer: a window of its own about what the sinc filters learnt."""
