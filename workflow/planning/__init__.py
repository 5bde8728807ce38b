"""Helpers of the rules, in the process that plans and watches a run; no job imports them."""
