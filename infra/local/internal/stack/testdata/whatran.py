"""Looks at a running stack with boto3, as somebody would with the AWS console, and prints what it finds as JSON."""

import json
import sys

import boto3
from botocore.config import Config


def client(service):
    return boto3.client(
        service, endpoint_url=sys.argv[1], region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
        config=Config(proxies={}, retries={"total_max_attempts": 1}))


states, table, functions = client("stepfunctions"), client("dynamodb"), client("lambda")

machines = [m for page in states.get_paginator("list_state_machines").paginate() for m in page["stateMachines"]]
executions = []
for machine in machines:
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"]):
        for listed in page["executions"]:
            execution = states.describe_execution(executionArn=listed["executionArn"])
            history = states.get_paginator("get_execution_history").paginate(executionArn=listed["executionArn"])
            executions.append({
                "Name": execution["name"], "Status": execution["status"], "Error": execution.get("error", ""),
                "Input": execution["input"], "Output": execution.get("output", ""),
                "Events": [event["type"] for page in history for event in page["events"]],
            })
tables = [name for page in table.get_paginator("list_tables").paginate() for name in page["TableNames"]]
items = [item for name in tables for page in table.get_paginator("scan").paginate(TableName=name) for item in page["Items"]]
names = [f["FunctionName"] for page in functions.get_paginator("list_functions").paginate() for f in page["Functions"]]
gateway = next(name for name in names if name.endswith("-gateway"))
invoked = functions.invoke(FunctionName=gateway, Payload=b'{"method": "GET", "path": "no-slash"}')

print(json.dumps({
    "Machines": [{"Name": m["name"], "Type": m["type"]} for m in machines],
    "Executions": executions, "Tables": tables, "Items": items, "Functions": names,
    "Invoked": json.load(invoked["Payload"]),
}))
