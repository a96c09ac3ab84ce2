"""The only room that knows rich: what a report looks like in a terminal."""
