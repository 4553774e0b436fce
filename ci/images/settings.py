"""The variables with which each pipe makes its first request, to be refused: none of them deploys anything."""

SETTINGS = {
    "s3-deploy": {"S3_BUCKET": "site", "LOCAL_PATH": "/etc/ssl"},
    "ecs-deploy": {"CLUSTER_NAME": "web", "SERVICE_NAME": "web"},
    "lambda-deploy": {"FUNCTION_NAME": "orders", "COMMAND": "alias", "ALIAS": "live", "VERSION": "1"},
}


def first_request(pipe: str, endpoint: str, token: str) -> dict[str, str]:
    """An environment whose first request, for credentials, goes to `endpoint`, once."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        # Names of a test stand for hosts of AWS, and some of its servers speak no TLS.
        "ALLOW_HTTP": "true",
        "AWS_OIDC_ROLE_ARN": "arn:aws:iam::000000000000:role/deploy",
        "BITBUCKET_STEP_OIDC_TOKEN": token,
        **SETTINGS[pipe],
    }
