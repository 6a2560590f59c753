"""spec_schema_test.py SCHEMA SPEC...: what puma-ctl reads, the schema of spec files takes, and common mistakes it refuses."""
import json
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

GOOD = r"""
- {pipeline: p, modules: [m], buffers: {frames: {capacity: 64MiB, on_full: drop_oldest}}}
- {include: base.yaml, tasks: {a: {type: m.T, placement: thread, replicas: 2}}}
- {include: [a.yaml, b.yaml], strategy: one_for_all}
- {tasks: {a: {type: m.T, inputs: {in: frames}, outputs: {out: edges}, params: {rate: 30Hz, x: [1, {y: null}]}}}}
- {tasks: {a: {inputs: {in: {buffer: frames, lossy: true, from: newest}}, depends_on: {b: succeeded}}}}
- {tasks: {a: {watchdog: 1m30s, spin: 0, stop: {grace: 0.5s}, resources: {memory: 1024, cpu: 1.5}}}}
- {tasks: {a: {replicas: "${N:-2}", placement: "${WHERE}", watchdog: "${W:-1s}"}}}
- {tasks: {a: {restart: {policy: never, backoff: {initial: 100ms}}}}}
"""
BAD = r"""
- [pipeline]
- {pipelin: p}
- {tasks: {a: {placment: thread}}}
- {tasks: {a: {placement: PLACEMENT_THREAD}}}
- {tasks: {a: {watchdog: 5}}}
- {tasks: {a: {watchdog: 5 seconds}}}
- {buffers: {b: {capacity: 64 mib}}}
- {buffers: {b: {capacity_items: -1}}}
- {tasks: {a: {replicas: many}}}
- {tasks: {a: {inputs: {in: {bufer: x}}}}}
- {tasks: {a: {inputs: {in: [x]}}}}
- {modules: m}
"""


def main(schema_file, specs):
    with open(schema_file, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = 0
    for spec in specs:
        with open(spec, encoding="utf-8") as file:
            for error in validator.iter_errors(yaml.safe_load(file)):
                print(f"{spec}: {error.message}")
                wrong += 1
    for good in yaml.safe_load(GOOD):
        for error in validator.iter_errors(good):
            print(f"refused: {good}: {error.message}")
            wrong += 1
    for bad in yaml.safe_load(BAD):
        if validator.is_valid(bad):
            print(f"taken: {bad}")
            wrong += 1
    for name, definition in [("PipelineSpec", schema), *schema["$defs"].items()]:
        for field, property in definition["properties"].items():
            if not property.get("description"):
                print(f"{name}.{field} has no description")
                wrong += 1
    return 1 if wrong else 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
