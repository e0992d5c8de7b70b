"""moto_server, with a CloudFormation that can carry out the stacks of this project.

    python3 moto_cloudformation.py -H 127.0.0.1 -p PORT

What moto 5.2.1 lacks or does wrongly is listed here, each with what is done about it below. None of it is about a template of
ours. What a service keeps is moto's: resources are created, changed and deleted by calls of its APIs, whose parameters botocore
checks.

    StartSyncExecution       is not there: the test runs what is deployed itself.
    CREATE, UPDATE, DELETE   a crash of moto in the middle leaves the rest out and is reported as COMPLETE, or as a stack that is
                             gone. Here it is a failed deployment with moto's error as its reason.
    order                    what a template no longer has is deleted before anything is created or changed, and what is changed
                             is changed in the template's order. Here, as in CloudFormation, a resource comes after those that
                             it names, and deletions come last, in the opposite order.
    change                   a resource is changed if its text in the template is another. Here it is if what its text comes to
                             is another, so that an ARN or an attribute that changes reaches those that use it. A type that
                             cannot be changed becomes None and is lost from the stack; here that is an error.
    DeletionPolicy           Retain holds for the deletion of a stack, and not for what a template no longer has. Here it holds
                             for both.
    change sets              stay when they are carried out, and are found by their name in whatever stack. DeleteChangeSet
                             crashes if there is none, which in CloudFormation is no error; DescribeChangeSet has another
                             error's code.
    parameters               UsePreviousValue of one that is read from SSM takes its value for its name.
    outputs                  are those of the stack's first template.
    types                    AWS::CloudWatch::Dashboard, AWS::DynamoDB::GlobalTable, AWS::Lambda::Alias, AWS::Lambda::Url,
                             AWS::Logs::MetricFilter, AWS::Logs::QueryDefinition, AWS::S3::BucketPolicy, AWS::SQS::QueuePolicy,
                             AWS::SecretsManager::Secret and AWS::StepFunctions::StateMachineVersion are skipped with a warning.
    AWS::Lambda::Function    loses Architectures, LoggingConfig, TracingConfig and Tags; UpdateFunctionConfiguration does not know
                             TracingConfig and LoggingConfig, UpdateFunctionCode no Architectures.
    AWS::Lambda::Version     has no attribute Version, and is not deleted. PublishVersion gives the number of the last version if
                             the configuration was changed after the first one was published, and after a deletion a number that
                             was given before.
    AWS::StepFunctions::…    StateMachineType, LoggingConfiguration, TracingConfiguration and StateMachineRevisionId are dropped,
                             versions cannot be published by themselves.
    AWS::Lambda::Permission  has no physical id, cannot be deleted, and takes no alias.
    function URLs            have no qualifier.
    bucket policies          are judged without their conditions: one that denies plain HTTP denies all. Here they are kept, and
                             deny nothing, nor do they allow anything.
    queues                   an update leaves all but two attributes as they were.
    log groups, alarms       cannot be changed.
"""

import copy
import json
import os
import re
import sys
import threading
import traceback
import uuid

import boto3
from moto.awslambda import models as lambda_models
from moto.cloudformation import models as cloudformation_models
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.iam.access_control import PermissionResult
from moto.s3 import models as s3_models
from moto.server import main
from moto.stepfunctions import models as stepfunctions_models

ENDPOINT = None


def client(service, region):
    """A client of this server itself."""
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
    )


def lower(value):
    """Keys as the API of Step Functions has them, which the template begins with capitals."""
    if isinstance(value, dict):
        return {k[0].lower() + k[1:]: lower(v) for k, v in value.items()}
    if isinstance(value, list):
        return [lower(v) for v in value]
    return value


# The order in which a template is carried out.

PLACEHOLDER = re.compile(r"\$\{([^!}.]+)[^}]*\}")


def named_by(value):
    """The logical ids and parameters that a part of a template names."""
    if isinstance(value, list):
        for element in value:
            yield from named_by(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            if key == "Ref":
                yield element
            elif key == "Fn::GetAtt":
                yield element.split(".")[0] if isinstance(element, str) else element[0]
            elif key == "DependsOn":
                yield from [element] if isinstance(element, str) else element
            elif key == "Fn::Sub":
                yield from PLACEHOLDER.findall(element if isinstance(element, str) else element[0])
                yield from named_by(element)
            else:
                yield from named_by(element)


def in_order(resources):
    """The logical ids of a template, each behind those that it names."""
    done = {}

    def visit(name):
        if name in resources and name not in done:
            done[name] = False
            for other in named_by(resources[name]):
                visit(other)
            done.pop(name)
            done[name] = True

    for name in resources:
        visit(name)
    return list(done)


def retained(declaration):
    return declaration.get("DeletionPolicy", "Delete").startswith("Retain")


def resolved(resources, declaration):
    return parsing.clean_json(copy.deepcopy(declaration.get("Properties", {})), resources)


def remove(resources, name, declaration):
    resource = resources._parsed_resources.pop(name, None)
    if resource is not None and not retained(declaration):
        resources._delete_resource(resource, declaration)


def update(resources, template, parameters=None):
    before = dict(resources._resource_json_map)
    was = resources.__dict__.setdefault("was", {})
    resources._template = template
    if parameters:
        # Those that come to what they came to before are as they were.
        given = {k: v for k, v in parameters.items() if v != resources.resolved_parameters.get(k)}
        kept = {k: v for k, v in resources.input_parameters.items() if k in template.get("Parameters", {})}
        resources.input_parameters = kept | given
    resources._resource_json_map = template["Resources"]
    resources.load_mapping()
    resources.load_parameters()
    resources.load_conditions()
    for name in in_order(template["Resources"]):
        declaration = template["Resources"][name]
        if "Condition" in declaration and not resources.lazy_condition_map[declaration["Condition"]]:
            continue
        if name not in resources._parsed_resources:
            if resources[name] is None:
                raise Exception(f"{name}: moto does not know {declaration['Type']}")
        elif was[name] != resolved(resources, declaration):
            changed = parsing.parse_and_update_resource(
                name,
                copy.deepcopy(declaration),
                resources,
                account_id=resources._account_id,
                region_name=resources._region_name,
            )
            if changed is None:
                raise Exception(f"{name}: moto cannot change {declaration['Type']}")
            changed.cf_resource_type = declaration["Type"]  # moto has the properties there
            resources._parsed_resources[name] = changed
        was[name] = resolved(resources, declaration)
    for name in reversed(in_order(before)):
        if name not in template["Resources"]:
            remove(resources, name, before[name])


def delete(resources):
    for name in reversed(in_order(resources._resource_json_map)):
        remove(resources, name, resources._resource_json_map[name])


parsing.ResourceMap.update = update
parsing.ResourceMap.delete = delete

execute_change_set = cloudformation_models.CloudFormationBackend.execute_change_set


def execute(backend, change_set_name, stack_name=None):
    change_set = backend.describe_change_set(change_set_name)
    stack = backend.stacks[change_set.stack_id]
    try:
        execute_change_set(backend, change_set_name, stack_name)
        stack._parse_template()
        stack.output_map = stack._create_output_map()
        stack.outputs  # all of them can be resolved
        backend.change_sets = {k: c for k, c in backend.change_sets.items() if c.stack_id != stack.stack_id}
    except Exception as problem:
        traceback.print_exc()
        status = "ROLLBACK_COMPLETE" if change_set.change_set_type == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
        stack.status = status
        stack._add_stack_event(status.replace("COMPLETE", "IN_PROGRESS"), resource_status_reason=repr(problem))
        stack._add_stack_event(status, resource_status_reason=repr(problem))


cloudformation_models.CloudFormationBackend.execute_change_set = execute


delete_change_set = cloudformation_models.CloudFormationBackend.delete_change_set


def forget(backend, change_set_name):
    if any(change_set_name in (c.change_set_id, c.change_set_name) for c in backend.change_sets.values()):
        delete_change_set(backend, change_set_name)


class ChangeSetNotFound(CloudFormationError):
    code = "ChangeSetNotFound"


describe_change_set = cloudformation_models.CloudFormationBackend.describe_change_set


def find(backend, change_set_name):
    try:
        return describe_change_set(backend, change_set_name)
    except ValidationError:
        raise ChangeSetNotFound(f"ChangeSet [{change_set_name}] does not exist") from None


cloudformation_models.CloudFormationBackend.delete_change_set = forget
cloudformation_models.CloudFormationBackend.describe_change_set = find

delete_stack = cloudformation_models.CloudFormationBackend.delete_stack


def delete_or_say(backend, name_or_stack_id):
    stacks = [s for s in backend.stacks.values() if name_or_stack_id in (s.name, s.stack_id)]
    try:
        delete_stack(backend, name_or_stack_id)
    except Exception as problem:
        traceback.print_exc()
        for stack in stacks:
            stack.status = "DELETE_FAILED"
            stack._add_stack_event("DELETE_FAILED", resource_status_reason=repr(problem))
            backend.stacks[stack.stack_id] = stack


cloudformation_models.CloudFormationBackend.delete_stack = delete_or_say


# Types of resources.


class Resource:
    """A resource that is created, changed and deleted by calls of the service's API."""

    kind = ""
    named = ""  # the property that names it
    fixed = ()  # properties whose change needs another resource, besides that

    def __init__(self, name, account_id, region):
        self.name, self.account_id, self.region = name, account_id, region
        self.attributes, self.properties = {}, {}

    @classmethod
    def cloudformation_type(cls):
        return cls.kind

    def is_created(self):
        return True

    def api(self, service):
        return client(service, self.region)

    @property
    def physical_resource_id(self):
        return self.name

    @classmethod
    def has_cfn_attr(cls, attribute):
        return True  # get_cfn_attribute says so

    def get_cfn_attribute(self, attribute):
        if attribute not in self.attributes:
            raise parsing.UnformattedGetAttTemplateException()
        return self.attributes[attribute]

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        resource = cls(resource_name, account_id, region_name)
        resource.properties = cloudformation_json["Properties"]
        resource.create(copy.deepcopy(resource.properties))
        return resource

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        was, properties = original_resource.properties, cloudformation_json["Properties"]
        for name in (cls.named, *cls.fixed):
            if was.get(name) != properties.get(name):
                raise Exception(f"{cls.kind} would be replaced: {name} was {was.get(name)}, and is {properties.get(name)}")
        original_resource.properties = properties
        original_resource.change(copy.deepcopy(properties))
        return original_resource

    def change(self, p):
        raise Exception(f"{self.kind} cannot be changed here")

    def delete(self, account_id, region_name):
        try:
            self.remove(self.properties)
        except (TypeError, AttributeError) as problem:  # moto would take them for a type that cannot be deleted
            raise Exception(repr(problem)) from problem


class Function(Resource):
    kind, named, fixed = "AWS::Lambda::Function", "FunctionName", ("PackageType",)

    def create(self, p):
        p["FunctionName"] = self.name
        p["Tags"] = {tag["Key"]: tag["Value"] for tag in p.get("Tags", [])}
        reserved = p.pop("ReservedConcurrentExecutions", None)
        created = self.api("lambda").create_function(**p)
        self.attributes["Arn"] = created["FunctionArn"]
        self.reserve(reserved)

    def change(self, p):
        code = p.pop("Code")
        architectures = p.pop("Architectures", ["x86_64"])
        self.reserve(p.pop("ReservedConcurrentExecutions", None))
        p.pop("Tags", None)
        p["FunctionName"] = self.name
        self.api("lambda").update_function_configuration(**p)
        self.api("lambda").update_function_code(FunctionName=self.name, Architectures=architectures, **code)

    def reserve(self, reserved):
        if reserved is not None:
            self.api("lambda").put_function_concurrency(
                FunctionName=self.name, ReservedConcurrentExecutions=reserved
            )

    def remove(self, p):
        self.api("lambda").delete_function(FunctionName=self.name)


class FunctionVersion(Resource):
    kind, fixed = "AWS::Lambda::Version", ("FunctionName", "Description")

    def create(self, p):
        published = self.api("lambda").publish_version(**p)
        self.name = published["FunctionArn"]
        self.attributes = {"Version": published["Version"], "FunctionArn": published["FunctionArn"]}

    def remove(self, p):
        self.api("lambda").delete_function(FunctionName=p["FunctionName"], Qualifier=self.attributes["Version"])


class FunctionAlias(Resource):
    kind, fixed = "AWS::Lambda::Alias", ("FunctionName", "Name")

    def create(self, p):
        p.pop("ProvisionedConcurrencyConfig", None)
        self.name = self.attributes["AliasArn"] = self.api("lambda").create_alias(**p)["AliasArn"]

    def change(self, p):
        p.pop("ProvisionedConcurrencyConfig", None)
        self.api("lambda").update_alias(**p)

    def remove(self, p):
        self.api("lambda").delete_alias(FunctionName=p["FunctionName"], Name=p["Name"])


class FunctionURL(Resource):
    kind, fixed = "AWS::Lambda::Url", ("TargetFunctionArn", "Qualifier")

    def of(self, p):
        p["FunctionName"] = self.name = p.pop("TargetFunctionArn")
        return p

    def create(self, p):
        created = self.api("lambda").create_function_url_config(**self.of(p))
        function = lambda_models.lambda_backends[self.account_id][self.region].get_function(self.name)
        function.url_config.config["Qualifier"] = p.get("Qualifier")
        self.attributes = {"FunctionUrl": created["FunctionUrl"] + "/", "FunctionArn": created["FunctionArn"]}

    def change(self, p):
        self.api("lambda").update_function_url_config(**self.of(p))

    def remove(self, p):
        self.api("lambda").delete_function_url_config(FunctionName=self.name)


class Permission(Resource):
    kind = "AWS::Lambda::Permission"

    def where(self, p):
        name = p["FunctionName"].split(":function:")[-1].split(":")
        return {"FunctionName": name[0], "StatementId": self.name, **({"Qualifier": name[1]} if name[1:] else {})}

    def create(self, p):
        self.api("lambda").add_permission(**{**p, **self.where(p)})

    def remove(self, p):
        self.api("lambda").remove_permission(**self.where(p))


class StateMachine(Resource):
    kind, named, fixed = "AWS::StepFunctions::StateMachine", "StateMachineName", ("StateMachineType",)

    def given(self, p):
        p["Definition"] = p.pop("DefinitionString")
        kept = ("Definition", "RoleArn", "LoggingConfiguration", "TracingConfiguration")
        unknown = set(p) - {*kept, "StateMachineName", "StateMachineType", "Tags"}
        if unknown:
            raise Exception(f"{self.kind}: {unknown} would be dropped")
        return lower({k: p[k] for k in kept if k in p})

    def create(self, p):
        created = self.api("stepfunctions").create_state_machine(name=self.name, **self.given(p))
        self.arn = created["stateMachineArn"]
        self.keep(p)

    def change(self, p):
        self.api("stepfunctions").update_state_machine(stateMachineArn=self.arn, **self.given(p))
        self.keep(p)

    def keep(self, p):
        machine = stepfunctions_models.stepfunctions_backends[self.account_id][self.region].describe_state_machine(self.arn)
        machine.type = machine.sm_type = p.get("StateMachineType", "STANDARD")
        self.attributes = {"Arn": self.arn, "Name": machine.name, "StateMachineRevisionId": str(uuid.uuid4())}

    @property
    def physical_resource_id(self):
        return self.arn

    def remove(self, p):
        self.api("stepfunctions").delete_state_machine(stateMachineArn=self.arn)


class StateMachineVersion(Resource):
    kind, fixed = "AWS::StepFunctions::StateMachineVersion", ("StateMachineArn", "StateMachineRevisionId", "Description")

    def create(self, p):
        backend = stepfunctions_models.stepfunctions_backends[self.account_id][self.region]
        machine = backend.describe_state_machine(p["StateMachineArn"])
        machine.publish(p.get("Description"))
        machine.latest_version.type = machine.latest_version.sm_type = machine.type
        self.name = self.attributes["Arn"] = machine.latest_version.arn

    def remove(self, p):
        backend = stepfunctions_models.stepfunctions_backends[self.account_id][self.region]
        machine = backend.describe_state_machine(p["StateMachineArn"])
        del machine.versions[int(self.name.rsplit(":", 1)[1])]


class GlobalTable(Resource):
    kind, named, fixed = "AWS::DynamoDB::GlobalTable", "TableName", ("KeySchema", "AttributeDefinitions")

    def create(self, p):
        api = self.api("dynamodb")
        created = api.create_table(
            TableName=self.name,
            KeySchema=p["KeySchema"],
            AttributeDefinitions=p["AttributeDefinitions"],
            BillingMode=p.get("BillingMode", "PAY_PER_REQUEST"),
            **{k: p[k] for k in ("StreamSpecification", "SSESpecification") if k in p},
        )["TableDescription"]
        self.attributes = {"Arn": created["TableArn"]}
        self.change(p)

    def change(self, p):
        api = self.api("dynamodb")
        if "TimeToLiveSpecification" in p:
            api.update_time_to_live(TableName=self.name, TimeToLiveSpecification=p["TimeToLiveSpecification"])
        for replica in p["Replicas"]:
            if replica["Region"] != self.region:
                raise Exception("a replica in another region")
            if "PointInTimeRecoverySpecification" in replica:
                api.update_continuous_backups(
                    TableName=self.name,
                    PointInTimeRecoverySpecification=replica["PointInTimeRecoverySpecification"],
                )

    def remove(self, p):
        self.api("dynamodb").delete_table(TableName=self.name)


class LogGroup(Resource):
    kind, named = "AWS::Logs::LogGroup", "LogGroupName"

    def create(self, p):
        given = {k[0].lower() + k[1:]: p[k] for k in ("KmsKeyId", "LogGroupClass") if k in p}
        self.api("logs").create_log_group(logGroupName=self.name, **given)
        self.attributes["Arn"] = f"arn:aws:logs:{self.region}:{self.account_id}:log-group:{self.name}:*"
        self.change(p)

    def change(self, p):
        if "RetentionInDays" in p:
            self.api("logs").put_retention_policy(logGroupName=self.name, retentionInDays=p["RetentionInDays"])

    def remove(self, p):
        self.api("logs").delete_log_group(logGroupName=self.name)


class MetricFilter(Resource):
    kind, named, fixed = "AWS::Logs::MetricFilter", "FilterName", ("LogGroupName",)

    def create(self, p):
        self.api("logs").put_metric_filter(
            filterName=self.name,
            filterPattern=p["FilterPattern"],
            logGroupName=p["LogGroupName"],
            metricTransformations=[
                {k[0].lower() + k[1:]: v for k, v in t.items() if k != "Dimensions"} for t in p["MetricTransformations"]
            ],
        )

    change = create

    def remove(self, p):
        self.api("logs").delete_metric_filter(filterName=self.name, logGroupName=p["LogGroupName"])


class QueryDefinition(Resource):
    kind = "AWS::Logs::QueryDefinition"
    # moto's service has no query definitions either: botocore checks what is asked, and nothing keeps it.

    def create(self, p):
        self.change(p)
        self.attributes["QueryDefinitionId"] = self.name = str(uuid.uuid4())

    def change(self, p):
        given = {k[0].lower() + k[1:]: v for k, v in p.items()}
        shape = self.api("logs").meta.service_model.operation_model("PutQueryDefinition").input_shape
        report = boto3.session.botocore.validate.ParamValidator().validate(given, shape)
        if report.has_errors():
            raise Exception(report.generate_report())

    def remove(self, p):
        pass


class Alarm(Resource):
    kind, named = "AWS::CloudWatch::Alarm", "AlarmName"

    def create(self, p):
        p["AlarmName"] = self.name
        self.api("cloudwatch").put_metric_alarm(**p)
        self.attributes["Arn"] = f"arn:aws:cloudwatch:{self.region}:{self.account_id}:alarm:{self.name}"

    change = create

    def remove(self, p):
        self.api("cloudwatch").delete_alarms(AlarmNames=[self.name])


class Dashboard(Resource):
    kind, named = "AWS::CloudWatch::Dashboard", "DashboardName"

    def create(self, p):
        json.loads(p["DashboardBody"])
        self.api("cloudwatch").put_dashboard(DashboardName=self.name, DashboardBody=p["DashboardBody"])

    change = create

    def remove(self, p):
        self.api("cloudwatch").delete_dashboards(DashboardNames=[self.name])


class BucketPolicy(Resource):
    kind, fixed = "AWS::S3::BucketPolicy", ("Bucket",)

    def create(self, p):
        self.api("s3").put_bucket_policy(Bucket=p["Bucket"], Policy=json.dumps(p["PolicyDocument"]))

    change = create

    def remove(self, p):
        self.api("s3").delete_bucket_policy(Bucket=p["Bucket"])


class Queue(Resource):
    kind, named = "AWS::SQS::Queue", "QueueName"

    def shortened(self):
        return self.name[-80:].lstrip("-")

    def create(self, p):
        self.url = self.api("sqs").create_queue(QueueName=self.shortened(), Attributes=self.given(p))["QueueUrl"]
        arn = f"arn:aws:sqs:{self.region}:{self.account_id}:{self.shortened()}"
        self.attributes = {"Arn": arn, "QueueName": self.shortened(), "QueueUrl": self.url}

    def given(self, p):
        return {
            k: json.dumps(v) if isinstance(v, dict) else str(v).lower() if isinstance(v, bool) else str(v)
            for k, v in p.items()
            if k not in ("QueueName", "Tags")
        }

    def change(self, p):
        self.api("sqs").set_queue_attributes(QueueUrl=self.url, Attributes=self.given(p))

    @property
    def physical_resource_id(self):
        return self.url

    def remove(self, p):
        self.api("sqs").delete_queue(QueueUrl=self.url)


class QueuePolicy(Resource):
    kind, fixed = "AWS::SQS::QueuePolicy", ("Queues",)

    def create(self, p):
        for queue in p["Queues"]:
            self.api("sqs").set_queue_attributes(
                QueueUrl=queue, Attributes={"Policy": json.dumps(p["PolicyDocument"])}
            )

    change = create

    def remove(self, p):
        for queue in p["Queues"]:
            self.api("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


class Secret(Resource):
    kind, named, fixed = "AWS::SecretsManager::Secret", "Name", ("GenerateSecretString",)

    def create(self, p):
        api = self.api("secretsmanager")
        generate = p.pop("GenerateSecretString", None)
        if generate is not None:
            template, key = generate.pop("SecretStringTemplate", None), generate.pop("GenerateStringKey", None)
            p["SecretString"] = api.get_random_password(**generate)["RandomPassword"]
            if template is not None:
                p["SecretString"] = json.dumps({**json.loads(template), key: p["SecretString"]})
        p["Name"] = self.name
        self.name = self.attributes["Id"] = api.create_secret(**p)["ARN"]

    def remove(self, p):
        self.api("secretsmanager").delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)


for resource in Resource.__subclasses__():
    parsing.get_model_map()[resource.kind] = resource
    parsing.get_name_type_map()[resource.kind] = resource.named
for model in list(parsing.get_model_list()):  # in which moto looks first for the property that names a resource
    if model.cloudformation_type() in {resource.kind for resource in Resource.__subclasses__()}:
        parsing.get_model_list().remove(model)


# What moto's Lambda does not keep.

create_configuration = lambda_models.LambdaFunction.__init__
update_configuration = lambda_models.LambdaFunction.update_configuration
get_configuration = lambda_models.LambdaFunction.get_configuration
update_code = lambda_models.LambdaFunction.update_function_code
url_of = lambda_models.FunctionUrlConfig.to_dict


def function_created(function, account_id, spec, region, version=1):
    create_configuration(function, account_id, spec, region, version)
    function.logging_config = spec.get("LoggingConfig")


def function_configured(function, updates):
    function.tracing_config = updates.get("TracingConfig", function.tracing_config)
    function.logging_config = updates.get("LoggingConfig", function.logging_config)
    return update_configuration(function, updates)


def function_read(function, on_create=False):
    configuration = get_configuration(function, on_create)
    if function.logging_config:
        configuration["LoggingConfig"] = function.logging_config
    return configuration


def function_code_changed(function, updates):
    function.architectures = updates.get("Architectures", function.architectures)
    return update_code(function, updates)


def url_read(config):
    answer = url_of(config)
    if config.config.get("Qualifier"):
        answer["FunctionArn"] += ":" + config.config["Qualifier"]
    return answer


def publish_version(storage, name_or_arn, description=""):
    function = storage.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    kept = storage._functions[function.function_name]
    function.published = getattr(function, "published", 0) + 1
    version = copy.copy(kept["latest"])
    version.environment_vars = dict(version.environment_vars)
    version.set_version(function.published)
    version.description = description or version.description
    kept["versions"].append(version)
    storage._arns[version.function_arn] = version
    return version


lambda_models.LambdaFunction.__init__ = function_created
lambda_models.LambdaFunction.update_configuration = function_configured
lambda_models.LambdaFunction.get_configuration = function_read
lambda_models.LambdaFunction.update_function_code = function_code_changed
lambda_models.FunctionUrlConfig.to_dict = url_read
lambda_models.LambdaStorage.publish_version = publish_version


s3_models.FakeBucket.get_permission = lambda bucket, action, resource: PermissionResult.NEUTRAL


def end_with_the_test():
    """The test holds the other end of standard input, which closes however the test ends."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_test, daemon=True).start()
    ENDPOINT = "http://{}:{}".format(sys.argv[sys.argv.index("-H") + 1], sys.argv[sys.argv.index("-p") + 1])
    main(sys.argv[1:])
