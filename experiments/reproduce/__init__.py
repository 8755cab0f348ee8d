"""The paper's experiments again: six tasks, three models, tables and curves from stored rows."""
