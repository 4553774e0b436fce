//! Function URLs, and the statements of the function's own policy that let everyone call one.

use aws_sdk_lambda::types::FunctionUrlAuthType;
use serde_json::Value;
use shared::raw::{self, Answer};
use shared::{Explain, Failure, Refusal};

use super::Lambda;

impl Lambda {
    /// The URL's configuration; nothing if there is none.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn url(&self, function: &str, alias: Option<&str>) -> Result<Option<Value>, Failure> {
        let answer = Answer::default();
        let sent = self
            .client
            .get_function_url_config()
            .function_name(function)
            .set_qualifier(alias.map(str::to_owned))
            .customize()
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => answer.json().map(Some),
            Err(error) if super::is_absent(&Refusal::from(&error)) => Ok(None),
            Err(error) => Err(error).explain(
                format!("could not look at the URL of `{function}`"),
                "lambda:GetFunctionUrlConfig",
            ),
        }
    }

    /// Makes the URL, or changes it to what `body` says.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn set_url(
        &self,
        function: &str,
        alias: Option<&str>,
        body: &Value,
        is_new: bool,
    ) -> Result<Value, Refusal> {
        let answer = Answer::default();
        let alias = alias.map(str::to_owned);
        if is_new {
            // The SDK asks for the member that the API requires before the body is replaced.
            let request = self
                .client
                .create_function_url_config()
                .auth_type(FunctionUrlAuthType::AwsIam)
                .function_name(function)
                .set_qualifier(alias);
            request
                .customize()
                .mutate_request(raw::body(body))
                .interceptor(answer.clone())
                .send()
                .await
                .map_err(|error| Refusal::from(&error))?;
        } else {
            let request = self
                .client
                .update_function_url_config()
                .function_name(function)
                .set_qualifier(alias);
            request
                .customize()
                .mutate_request(raw::body(body))
                .interceptor(answer.clone())
                .send()
                .await
                .map_err(|error| Refusal::from(&error))?;
        }
        super::functions::document(&answer)
    }

    /// The ids of the statements of the policy; none if there is no policy.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn policy_statements(
        &self,
        function: &str,
        alias: Option<&str>,
    ) -> Result<Vec<String>, Failure> {
        let sent = self
            .client
            .get_policy()
            .function_name(function)
            .set_qualifier(alias.map(str::to_owned))
            .send()
            .await;
        let policy = match sent {
            Ok(answer) => answer.policy.unwrap_or_default(),
            Err(error) if super::is_absent(&Refusal::from(&error)) => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).explain(
                    format!("could not look at the policy of `{function}`"),
                    "lambda:GetPolicy",
                );
            }
        };
        let policy: Value = serde_json::from_str(&policy).unwrap_or_default();
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        let id = |statement: &Value| statement["Sid"].as_str().map(str::to_owned);
        Ok(statements.iter().filter_map(id).collect())
    }

    /// Adds a statement that lets everyone do `action` by way of the URL.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn allow_public(
        &self,
        function: &str,
        alias: Option<&str>,
        statement: &str,
        action: &str,
    ) -> Result<(), Refusal> {
        let request = self
            .client
            .add_permission()
            .function_name(function)
            .set_qualifier(alias.map(str::to_owned))
            .statement_id(statement)
            .action(action)
            .principal("*");
        // Each of the two actions has a condition of its own that ties it to the URL.
        let request = if action == "lambda:InvokeFunctionUrl" {
            request.function_url_auth_type(FunctionUrlAuthType::None)
        } else {
            request.invoked_via_function_url(true)
        };
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }

    /// Takes a statement away.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn disallow(
        &self,
        function: &str,
        alias: Option<&str>,
        statement: &str,
    ) -> Result<(), Refusal> {
        self.client
            .remove_permission()
            .function_name(function)
            .set_qualifier(alias.map(str::to_owned))
            .statement_id(statement)
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }
}
