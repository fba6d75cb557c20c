use super::*;

#[test]
fn the_body_has_the_openai_shape() {
    let error = Error::MissingField { field: "model" };
    assert_eq!(
        error.body(),
        json!({"error": {
            "message": "the field \"model\" is missing",
            "type": "invalid_request_error",
            "param": "model",
            "code": "missing_field",
        }})
    );
}

#[test]
fn refused_credentials_name_the_scheme() {
    for error in [
        Error::MissingCredentials,
        Error::InvalidCredentials {
            audience: "atelier".into(),
        },
        Error::UnknownKey,
    ] {
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
}

#[test]
fn an_outage_says_when_to_come_back() {
    let response = Error::AuthorizationUnavailable.into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
}
