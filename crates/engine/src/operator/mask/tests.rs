//! What is found, what is not, and what stands in its place.

use super::find::Finder;
use super::replace::Replacer;
use super::{MaskPlan, MaskWith, Pii};
use weir_model::Secret;

const ALL: [Pii; 9] =
    [Pii::Email, Pii::Ipv4, Pii::Ipv6, Pii::CreditCard, Pii::Iban, Pii::Phone, Pii::Jwt, Pii::AwsKey, Pii::BearerToken];

fn masked(patterns: &[Pii], with: &MaskWith, text: &str) -> String {
    let finder = Finder::new(patterns).expect("the patterns are right");
    let mut found = Vec::new();
    finder.find(text, &mut found);
    Replacer::new(with).replace(text, &found, &finder)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(masked(&ALL, &MaskWith::Name, text), expected);
}

#[test]
fn what_tells_who_somebody_is_is_found() {
    check("mail jo.do+x@mail.example.org, please", "mail <email>, please");
    check("from 10.20.30.40:8080 to 2001:db8::1.", "from <ipv4>:8080 to <ipv6>.");
    check("::ffff:192.0.2.1 and fe80::1: down", "<ipv6> and <ipv6>: down");
    check("card 4111 1111 1111 1111 expires 12/29", "card <credit_card> expires 12/29");
    check("card 4111-1111-1111-1111, amex 378282246310005", "card <credit_card>, amex <credit_card>");
    check("order 12 4111 1111 1111 1111 99", "order 12 <credit_card> 99");
    check("pay DE89 3704 0044 0532 0130 00 today", "pay <iban> today");
    check("GB82WEST12345698765432!", "<iban>!");
    check("call +49 (0)30 1234567 or 555-010-9999", "call <phone> or <phone>");
    check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!", "<jwt>!");
    check("key AKIAIOSFODNN7EXAMPLE", "key <aws_key>");
    check("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = <aws_key>");
    check("Authorization: Bearer abc.DEF-123_456==", "Authorization: Bearer <bearer_token>");
}

#[test]
fn what_only_looks_like_it_stays() {
    check("order 4111 1111 1111 1112 has a wrong check digit", "order 4111 1111 1111 1112 has a wrong check digit");
    check("DE88 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00");
    check("at 10:11:12 version 1.2.3 took 00:00:01.5", "at 10:11:12 version 1.2.3 took 00:00:01.5");
    check("std::vec::Vec and a@b", "std::vec::Vec and a@b");
    check("300.1.1.1000", "300.1.1.1000");
}

#[test]
fn what_overlaps_is_masked_as_one() {
    let patterns = [Pii::Email, Pii::Regex { name: "host".into(), regex: "example[.]org/[a-z]+".into() }];
    assert_eq!(masked(&patterns, &MaskWith::Name, "jo@example.org/path x"), "<email> x");
}

#[test]
fn masks_say_a_name_a_text_an_end_or_a_hash() {
    let text = "a jo@example.org b";
    assert_eq!(masked(&ALL, &MaskWith::Text("***".into()), text), "a *** b");
    let card = "4111 1111 1111 1234".replace("1234", "1111");
    assert_eq!(masked(&ALL, &MaskWith::KeepLast(4), &card), "**** **** **** 1111");
    assert_eq!(masked(&[Pii::Value], &MaskWith::KeepLast(4), "abc"), "***", "nothing is left to hide behind");
    let hash = |key: &str, text: &str| masked(&ALL, &MaskWith::Hash { key: Secret::new(key) }, text);
    let token = hash("0123456789abcdef", "jo@example.org");
    assert_eq!((token.len(), hash("0123456789abcdef", text)), (32, format!("a {token} b")));
    assert_ne!(token, hash("another key 4711", "jo@example.org"));
    let mac = masked(&[Pii::Value], &MaskWith::Hash { key: Secret::new("Jefe") }, "what do ya want for nothing?");
    assert_eq!(mac, "5bdcc146bf60754e6a042426089575c7", "RFC 4231, test case 2");
}

#[test]
fn a_mask_that_would_hide_nothing_or_everything_is_refused() {
    let plan = |patterns: &[Pii], with: MaskWith| MaskPlan { columns: Vec::new(), patterns: patterns.to_vec(), with };
    let refused = |plan: MaskPlan| plan.check().expect_err("it makes no sense").to_string();
    assert!(refused(plan(&[], MaskWith::Name)).starts_with("patterns: there is no pattern"));
    assert!(refused(plan(&[Pii::Value], MaskWith::Name)).starts_with("columns: `value` masks whole texts"));
    let weak = MaskWith::Hash { key: Secret::new("secret") };
    let weak = refused(plan(&[Pii::Email], weak));
    assert!(weak.contains("fewer than 16 bytes") && !weak.contains("secret"), "{weak}");
    let wrong = refused(plan(&[Pii::Regex { name: "x".into(), regex: "(".into() }], MaskWith::Name));
    assert!(wrong.starts_with("regex.x: the regular expression is not right"), "{wrong}");
    let huge = refused(plan(&[Pii::Regex { name: "x".into(), regex: "(a{1000}){1000}".into() }], MaskWith::Name));
    assert!(huge.contains("more than 10 MiB"), "{huge}");
}
