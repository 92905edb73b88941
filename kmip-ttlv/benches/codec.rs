//! Decoding and encoding of the two messages that a busy server sees most.
#![allow(missing_docs)]

use bytes::Bytes;
use divan::{Bencher, black_box};
use kmip_ttlv::{Error, Limits, NoDictionary, Reader, SecretBuffer, Tag, Writer, json, xml};

fn main() {
    divan::main();
}

const REQUEST_MESSAGE: Tag = Tag::new(0x42_0078);
const REQUEST_HEADER: Tag = Tag::new(0x42_0077);
const RESPONSE_MESSAGE: Tag = Tag::new(0x42_007B);
const RESPONSE_HEADER: Tag = Tag::new(0x42_007A);
const PROTOCOL_VERSION: Tag = Tag::new(0x42_0069);
const PROTOCOL_VERSION_MAJOR: Tag = Tag::new(0x42_006A);
const PROTOCOL_VERSION_MINOR: Tag = Tag::new(0x42_006B);
const TIME_STAMP: Tag = Tag::new(0x42_0092);
const BATCH_COUNT: Tag = Tag::new(0x42_000D);
const BATCH_ITEM: Tag = Tag::new(0x42_000F);
const OPERATION: Tag = Tag::new(0x42_005C);
const RESULT_STATUS: Tag = Tag::new(0x42_007F);
const REQUEST_PAYLOAD: Tag = Tag::new(0x42_0079);
const RESPONSE_PAYLOAD: Tag = Tag::new(0x42_007C);
const OBJECT_TYPE: Tag = Tag::new(0x42_0057);
const UNIQUE_IDENTIFIER: Tag = Tag::new(0x42_0094);
const SYMMETRIC_KEY: Tag = Tag::new(0x42_008F);
const KEY_BLOCK: Tag = Tag::new(0x42_0040);
const KEY_FORMAT_TYPE: Tag = Tag::new(0x42_0042);
const KEY_VALUE: Tag = Tag::new(0x42_0045);
const KEY_MATERIAL: Tag = Tag::new(0x42_0043);
const CRYPTOGRAPHIC_ALGORITHM: Tag = Tag::new(0x42_0028);
const CRYPTOGRAPHIC_LENGTH: Tag = Tag::new(0x42_002A);
const TEMPLATE_ATTRIBUTE: Tag = Tag::new(0x42_0091);
const ATTRIBUTE: Tag = Tag::new(0x42_0008);
const ATTRIBUTE_NAME: Tag = Tag::new(0x42_000A);
const ATTRIBUTE_VALUE: Tag = Tag::new(0x42_000B);

fn protocol_version(writer: &mut Writer) {
    writer.structure(PROTOCOL_VERSION, |version| {
        version.integer(PROTOCOL_VERSION_MAJOR, 1);
        version.integer(PROTOCOL_VERSION_MINOR, 4);
    });
}

fn encode_get_response() -> SecretBuffer {
    let mut writer = Writer::new();
    writer.structure(RESPONSE_MESSAGE, |message| {
        message.structure(RESPONSE_HEADER, |header| {
            protocol_version(header);
            header.date_time(TIME_STAMP, 1_700_000_000);
            header.integer(BATCH_COUNT, 1);
        });
        message.structure(BATCH_ITEM, |item| {
            item.enumeration(OPERATION, 10);
            item.enumeration(RESULT_STATUS, 0);
            item.structure(RESPONSE_PAYLOAD, |payload| {
                payload.enumeration(OBJECT_TYPE, 2);
                payload.text_string(UNIQUE_IDENTIFIER, "8f0c7e0e-7f6b-4c5e-9d7a-2f4b1a0c9e11");
                payload.structure(SYMMETRIC_KEY, |key| key.structure(KEY_BLOCK, key_block));
            });
        });
    });
    writer.finish()
}

fn key_block(block: &mut Writer) {
    block.enumeration(KEY_FORMAT_TYPE, 1);
    block.structure(KEY_VALUE, |value| value.byte_string(KEY_MATERIAL, &[0x5A; 32]));
    block.enumeration(CRYPTOGRAPHIC_ALGORITHM, 3);
    block.integer(CRYPTOGRAPHIC_LENGTH, 256);
}

fn encode_create_request() -> SecretBuffer {
    let mut writer = Writer::new();
    writer.structure(REQUEST_MESSAGE, |message| {
        message.structure(REQUEST_HEADER, |header| {
            protocol_version(header);
            header.integer(BATCH_COUNT, 1);
        });
        message.structure(BATCH_ITEM, |item| {
            item.enumeration(OPERATION, 1);
            item.structure(REQUEST_PAYLOAD, |payload| {
                payload.enumeration(OBJECT_TYPE, 2);
                payload.structure(TEMPLATE_ATTRIBUTE, |template| {
                    attribute(template, "Cryptographic Algorithm", |value| {
                        value.enumeration(ATTRIBUTE_VALUE, 3)
                    });
                    attribute(template, "Cryptographic Length", |value| value.integer(ATTRIBUTE_VALUE, 256));
                    attribute(template, "Cryptographic Usage Mask", |value| {
                        value.integer(ATTRIBUTE_VALUE, 12)
                    });
                });
            });
        });
    });
    writer.finish()
}

fn attribute(template: &mut Writer, name: &str, value: impl FnOnce(&mut Writer)) {
    template.structure(ATTRIBUTE, |attribute| {
        attribute.text_string(ATTRIBUTE_NAME, name);
        value(attribute);
    });
}

fn read_protocol_version(header: &mut Reader<'_>) -> Result<(i32, i32), Error> {
    header.structure(PROTOCOL_VERSION, |version| {
        Ok((version.integer(PROTOCOL_VERSION_MAJOR)?, version.integer(PROTOCOL_VERSION_MINOR)?))
    })
}

fn decode_get_response(source: &Bytes) -> Result<Bytes, Error> {
    let mut reader = Reader::new(source, Limits::default())?;
    let material = reader.structure(RESPONSE_MESSAGE, |message| {
        message.structure(RESPONSE_HEADER, |header| {
            read_protocol_version(header)?;
            header.date_time(TIME_STAMP)?;
            header.integer(BATCH_COUNT)
        })?;
        message.structure(BATCH_ITEM, |item| {
            item.enumeration(OPERATION)?;
            item.enumeration(RESULT_STATUS)?;
            item.structure(RESPONSE_PAYLOAD, |payload| {
                payload.enumeration(OBJECT_TYPE)?;
                payload.text(UNIQUE_IDENTIFIER)?;
                payload.structure(SYMMETRIC_KEY, |key| key.structure(KEY_BLOCK, read_key_block))
            })
        })
    })?;
    reader.finish()?;
    Ok(material)
}

fn read_key_block(block: &mut Reader<'_>) -> Result<Bytes, Error> {
    block.enumeration(KEY_FORMAT_TYPE)?;
    let material = block.structure(KEY_VALUE, |value| value.bytes(KEY_MATERIAL))?;
    block.enumeration(CRYPTOGRAPHIC_ALGORITHM)?;
    block.integer(CRYPTOGRAPHIC_LENGTH)?;
    Ok(material)
}

fn decode_create_request(source: &Bytes) -> Result<usize, Error> {
    let mut reader = Reader::new(source, Limits::default())?;
    let attributes = reader.structure(REQUEST_MESSAGE, |message| {
        message.structure(REQUEST_HEADER, |header| {
            read_protocol_version(header)?;
            header.integer(BATCH_COUNT)
        })?;
        message.structure(BATCH_ITEM, |item| {
            item.enumeration(OPERATION)?;
            item.structure(REQUEST_PAYLOAD, |payload| {
                payload.enumeration(OBJECT_TYPE)?;
                payload.structure(TEMPLATE_ATTRIBUTE, read_attributes)
            })
        })
    })?;
    reader.finish()?;
    Ok(attributes)
}

fn read_attributes(template: &mut Reader<'_>) -> Result<usize, Error> {
    let mut count = 0;
    while template.peek_tag()? == Some(ATTRIBUTE) {
        template.structure(ATTRIBUTE, |attribute| {
            black_box(attribute.text(ATTRIBUTE_NAME)?);
            black_box(attribute.raw()?);
            Ok::<_, Error>(())
        })?;
        count += 1;
    }
    Ok(count)
}

#[divan::bench]
fn get_response_encode(bencher: Bencher<'_, '_>) {
    bencher.bench_local(encode_get_response);
}

#[divan::bench]
fn get_response_decode(bencher: Bencher<'_, '_>) {
    let source = encode_get_response().into_bytes();
    bencher.bench_local(|| decode_get_response(black_box(&source)).expect("it is well-formed"));
}

#[divan::bench]
fn create_request_encode(bencher: Bencher<'_, '_>) {
    bencher.bench_local(encode_create_request);
}

#[divan::bench]
fn create_request_decode(bencher: Bencher<'_, '_>) {
    let source = encode_create_request().into_bytes();
    bencher.bench_local(|| decode_create_request(black_box(&source)).expect("it is well-formed"));
}

#[divan::bench]
fn create_request_to_xml_and_back(bencher: Bencher<'_, '_>) {
    let source = encode_create_request().into_bytes();
    bencher.bench_local(|| {
        let text =
            xml::from_ttlv(black_box(&source), &NoDictionary, Limits::default()).expect("it is well-formed");
        xml::to_ttlv(&text, &NoDictionary, Limits::default()).expect("it has just been written")
    });
}

#[divan::bench]
fn create_request_to_json_and_back(bencher: Bencher<'_, '_>) {
    let source = encode_create_request().into_bytes();
    bencher.bench_local(|| {
        let text =
            json::from_ttlv(black_box(&source), &NoDictionary, Limits::default()).expect("it is well-formed");
        json::to_ttlv(&text, &NoDictionary, Limits::default()).expect("it has just been written")
    });
}
