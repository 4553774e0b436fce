"""The account of a step on the local AWS: a role that trusts the step's token, and what the three pipes deploy to."""

import functools
import io
import json
import os
import subprocess
import time
import zipfile

from botocore.session import Session

REGION = "us-east-1"


class Account:
    """Prepared once by the program that `ci/demo.sh` uses too, and given the rights of all pipes."""

    @staticmethod
    @functools.cache
    def shared() -> "Account":
        return Account(os.environ["LOCAL_AWS_ENDPOINT"])

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        # Calling it again changes nothing but the tokens; the name keeps apart what several runs make.
        self.name = f"images-{os.getpid()}-{time.time_ns() % 10**6}"
        lines = subprocess.run([os.environ["LOCAL_ACCOUNT"], endpoint, self.name], capture_output=True, text=True, check=True).stdout
        account = dict(line.split("=", 1) for line in lines.splitlines())
        names = [name for name in account if name.startswith(("AWS_", "BITBUCKET_"))]
        #: The variables of a step that may deploy, without those of a pipe.
        self.step = {name: account[name] for name in names} | {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
        self.allow(account["AWS_OIDC_ROLE_ARN"].split("/")[-1])

    def client(self, service: str):
        """A client of botocore with the rights of the account's root."""
        session = Session()
        session.set_credentials("test", "test")
        return session.create_client(service, region_name=REGION, endpoint_url=self.endpoint)

    def allow(self, role: str) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:*", "ecs:*", "lambda:*", "iam:PassRole"], "Resource": "*"}],
        }
        self.client("iam").put_role_policy(RoleName=role, PolicyName="images", PolicyDocument=json.dumps(policy))

    def keys(self) -> list[str]:
        """The keys of the bucket that the pipe does not keep for itself."""
        contents = self.client("s3").list_objects_v2(Bucket=self.name).get("Contents", [])
        return [each["Key"] for each in contents if ".s3-deploy/" not in each["Key"]]

    def service(self) -> None:
        """A service that runs the image `web:1`, in a cluster of the run's name."""
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName=self.name)
        container = {"name": "web", "image": "web:1", "memory": 128, "essential": True}
        definition = ecs.register_task_definition(family=self.name, containerDefinitions=[container])["taskDefinition"]
        ecs.create_service(
            cluster=self.name, serviceName="web", taskDefinition=definition["taskDefinitionArn"], desiredCount=1, launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        )  # fmt: skip

    def container(self) -> dict:
        """What the service's only container is made of now."""
        ecs = self.client("ecs")
        service = ecs.describe_services(cluster=self.name, services=["web"])["services"][0]
        definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        return definition["containerDefinitions"][0]

    def function(self) -> None:
        """A function of the run's name, with an alias `live` on its first version."""
        role = self.client("iam").create_role(RoleName=f"{self.name}-run", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        functions = self.client("lambda")
        functions.create_function(
            FunctionName=self.name, Runtime="python3.13", Handler="app.handler", Role=role, Code={"ZipFile": archive("first")}, Publish=True
        )
        functions.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")

    def live_version(self) -> str:
        return self.client("lambda").get_alias(FunctionName=self.name, Name="live")["FunctionVersion"]


def archive(word: str) -> bytes:
    """A zip with a handler that answers the word."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", handler(word))
    return file.getvalue()


def handler(word: str) -> str:
    return f"def handler(event, context):\n    return {word!r}\n"
