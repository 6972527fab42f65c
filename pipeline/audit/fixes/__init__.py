"""Code of the frameworks that repairs what an audit finds."""
