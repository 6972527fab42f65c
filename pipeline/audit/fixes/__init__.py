"""Code that repairs what an audit finds, in the words of the framework."""
