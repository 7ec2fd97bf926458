"""What is asked of the texts of a dataset: languages, and which rows nearly repeat another."""
