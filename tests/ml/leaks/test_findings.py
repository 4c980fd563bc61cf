from app.ml.leaks.findings import Finding, Level, sort_findings, unaccepted


def finding(feature: str, level: Level) -> Finding:
    return Finding(feature, "recoding_of_label", level, {"n_rows": 10}, "It was seen.", "Leave it out.")


A, B, C = finding("a", Level.SUSPECTED), finding("b", Level.CERTAIN), finding("c", Level.CERTAIN)


def test_certain_ones_come_first_then_names() -> None:
    assert sort_findings([A, C, B]) == (B, C, A)


def test_a_certain_finding_stops_until_it_is_accepted_by_name() -> None:
    assert unaccepted([A, B, C], {"c:recoding_of_label", "a"}) == (B,)


def test_plain_data() -> None:
    assert A.to_json() == {
        "name": "a:recoding_of_label",
        "feature": "a",
        "probe": "recoding_of_label",
        "level": "suspected",
        "evidence": {"n_rows": 10},
        "sentence": "It was seen.",
        "remedy": "Leave it out.",
    }
