"""One router per domain: parse, one service call, answer."""
