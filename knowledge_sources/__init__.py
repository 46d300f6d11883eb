"""The built-in knowledge sources: who can contribute to a board, through the same contract as a stranger."""
