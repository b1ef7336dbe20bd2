import hashlib, json, sys

MANIFEST = {"name": "counter", "version": "1", "determinism": "deterministic",
            "reward": {"min": 0, "max": 1, "resolution": 1},
            "actions": [{"name": "add", "effect": "mutating", "writes": ["count"], "timeout_ms": 1000}]}
count, target = 0, 0
for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "nonce": call["nonce"]}
    if call["call"] == "hello":
        answer.update(manifest=MANIFEST, observation="text", action="text", steps_max=20, items=3, digests=True,
                      admissible=True)
    elif call["call"] == "reset":
        count, target = call["seed"] % 5, 5 + call["item"]
    elif call["call"] == "step":
        before, ok = count, call["action"] in ("+1", "-1")
        count += int(call["action"]) if ok else 0
        answer.update(reward=int(count == target), terminated=count == target, truncated=False)
        answer["evidence"] = {"action": "add" if ok else None, "status": "ok" if ok else "refused",
                              "conditions": 1, "held": int(count == target), "owed": int(count == target),
                              "touched": [{"key": "count", "wrote": ok, "before": before, "after": count}]}
    elif call["call"] == "admissible":
        answer["actions"] = ["+1", "-1"]
    if call["call"] in ("reset", "step"):
        answer["observation"] = f"{count} of {target}"
    if call["call"] in ("reset", "step", "digest"):
        answer["digest"] = hashlib.sha256(f"{count}/{target}".encode()).hexdigest()
    print(json.dumps(answer), flush=True)
