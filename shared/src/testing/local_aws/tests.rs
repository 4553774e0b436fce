//! The preparing of an account, against the local AWS itself.

use super::*;
use crate::testing::{unique, uuid};

#[test]
fn preparing_twice_is_the_same_as_once() {
    let aws = LocalAws::start();
    let (slug, role, bucket) = (unique("acme"), unique("role"), unique("site"));
    for _ in 0..2 {
        let issuer = Issuer::new(&slug, &uuid());
        aws.create_bucket(&bucket);
        let arn = aws.site_role(&issuer, &role, &bucket, "{repository}:*");
        assert_eq!(arn, format!("arn:aws:iam::000000000000:role/{role}"));
    }
}

#[test]
fn all_pages_of_keys_are_listed_and_accounts_are_apart() {
    let aws = LocalAws::start();
    let bucket = unique("site");
    aws.create_bucket(&bucket);
    let mut keys: Vec<String> = (0..1001).map(|number| format!("{number:04}")).collect();
    keys.push("a+b & <c>%41/é".to_owned());
    for key in &keys {
        aws.put_object(&bucket, key, b"", &[]);
    }
    assert_eq!(aws.keys(&bucket), keys);
    aws.delete_object(&bucket, "0000");
    assert_eq!(aws.keys(&bucket).len(), 1001);
    let other = aws.account("111122223333");
    let answer = other.call("s3", "GET", &format!("/{bucket}"), &[], b"");
    assert!([403, 404].contains(&answer.status), "{}", answer.text());
}
