#!/usr/bin/env python3
"""control.py TARGET SPEC_JSON TASK COMMAND [NAME=VALUE ...]: drives a host from Python.

Applies the spec (puma.v1.PipelineSpec in protobuf's JSON form), waits until its tasks run, calls a command of one of them, prints what the
tasks logged, and deletes the pipeline. TARGET is "unix:/run/puma/puma.sock" or an address and a port. A VALUE is JSON, or else text.

Needs grpcio and protobuf, and the messages and stubs that protoc makes of the protos (see README.md), in a directory of PYTHONPATH.
Exit code 0: all went well; 1: the host said no, and why; 2: wrong usage.
"""
import json
import sys
import uuid

import grpc
from google.protobuf import json_format
from puma.v1 import resources_pb2, services_pb2, services_pb2_grpc

TIMEOUT_S = 60


def value_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def wait_until_running(tasks, pipeline):
    """Reads a watch: a snapshot first, then changes. The last state of each task is the one that counts."""
    states, whole = {}, False
    for batch in tasks.WatchTasks(services_pb2.WatchTasksRequest(parent=pipeline), timeout=TIMEOUT_S):
        for event in batch.events:
            if event.HasField("task"):
                status = event.task.status
                states[event.task.name] = status.state
                if status.state == resources_pb2.TASK_STATE_FAILED:
                    raise RuntimeError(f"{event.task.name} failed: {status.last_exit.summary or status.reason}")
            whole = whole or event.snapshot_complete
        if whole and all(state in (resources_pb2.TASK_STATE_RUNNING, resources_pb2.TASK_STATE_SUCCEEDED) for state in states.values()):
            return len(states)
    raise RuntimeError("the watch ended")


def print_log(logs, pipeline):
    for batch in logs.TailLogs(services_pb2.TailLogsRequest(parent=pipeline, history=-1), timeout=TIMEOUT_S):
        for record in batch.records:
            print(f"log: {batch.sources[record.source].task}: {record.message}")


def drive(target, spec_file, task, command, arguments):
    with open(spec_file, encoding="utf-8") as file:
        apply = services_pb2.ApplyPipelineRequest(request_id=str(uuid.uuid4()))  # one id for all tries: it has one effect
        json_format.Parse(file.read(), apply.spec)
    with grpc.insecure_channel(target) as channel:
        pipelines = services_pb2_grpc.PipelineServiceStub(channel)
        tasks = services_pb2_grpc.TaskServiceStub(channel)
        pipeline = pipelines.ApplyPipeline(apply, timeout=TIMEOUT_S).pipeline.name
        try:
            print(f"running: {wait_until_running(tasks, pipeline)} tasks")
            call = services_pb2.InvokeCommandRequest(name=f"{pipeline}/tasks/{task}", command=command)
            for name, value in arguments.items():
                json_format.ParseDict(value, call.arguments[name])
            result = tasks.InvokeCommand(call, timeout=TIMEOUT_S).result
            print(f"{command}: {json.dumps(json_format.MessageToDict(result))}")
            print_log(services_pb2_grpc.LogServiceStub(channel), pipeline)
        finally:
            pipelines.DeletePipeline(services_pb2.DeletePipelineRequest(name=pipeline, request_id=str(uuid.uuid4())), timeout=TIMEOUT_S)


def main(words):
    if len(words) < 4 or not all("=" in word for word in words[4:]):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    target, spec_file, task, command, *pairs = words
    try:
        drive(target, spec_file, task, command, {name: value_of(text) for name, text in (pair.split("=", 1) for pair in pairs)})
        return 0
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)  # says what to do
    except (OSError, RuntimeError, json_format.ParseError) as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
