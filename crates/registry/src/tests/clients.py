"""What the public Python clients do with a schema registry.

clients.py REGISTRY                     registers, asks, compares; prints records as `FORMAT HEX`
clients.py REGISTRY BROKERS ROWS        writes ROWS orders to the topics orders-avro and orders-json
"""

import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import json

CUSTOMER = {"type": "record", "name": "Customer", "fields": [
    {"name": "name", "type": "string"}, {"name": "id", "type": {"type": "string", "logicalType": "uuid"}}]}


def order_schema(version):
    fields = [
        {"name": "id", "type": "int" if version == 1 else "long"},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["new", "paid"] + ["sent"] * (version - 1)}},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
        {"name": "customer", "type": ["null", CUSTOMER], "default": None},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "items", "type": {"type": "array", "items": "double"}},
        {"name": "note", "type": ["null", "string", "long"]},
    ]
    if version == 2:
        fields.append({"name": "channel", "type": "string", "default": "web"})
    return json.dumps({"type": "record", "name": "Order", "namespace": "shop", "fields": fields})


def order(number, version):
    value = {
        "id": number,
        "status": ["new", "paid", "sent"][number % (version + 1)],
        "ts": datetime(2026, 11, 21, 8, tzinfo=timezone.utc) + timedelta(seconds=number),
        "day": date(2026, 11, 21),
        "price": None if number % 5 == 0 else Decimal(number) / 4,
        "customer": None if number % 2 else {"name": "Żaneta Świątek", "id": str(UUID(int=number))},
        "tags": {"env": "prod", "n": str(number)},
        "items": [0.5] * (number % 3),
        "note": [None, "a note", number][number % 3],
    }
    if version == 2:
        value["channel"] = "app"
    return value


JSON_SCHEMA = json.dumps({
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "type": "object",
    "properties": {"id": {"type": "integer"}, "status": {"type": "string"}}, "required": ["id"],
})


def expect(happened, what):
    if not happened:
        sys.exit(f"wrong: {what}")


def main():
    registry = SchemaRegistryClient({"url": sys.argv[1]})
    avro = {version: AvroSerializer(registry, order_schema(version)) for version in (1, 2)}
    as_json = JSONSerializer(JSON_SCHEMA, registry)
    of = lambda topic: SerializationContext(topic, MessageField.VALUE)
    if len(sys.argv) > 2:
        return write(avro, as_json, of)
    for number in range(4):
        version = 1 + number // 2
        value = avro[version](order(number, version), of("orders-avro"))
        back = AvroDeserializer(registry)(value, of("orders-avro"))
        expect(back["id"] == number, f"the client reads what it wrote: {back}")
        print("avro", value.hex())
    print("json", as_json({"id": 7, "status": "new"}, of("orders-json")).hex())

    expect(registry.get_subjects() == ["orders-avro-value", "orders-json-value"], registry.get_subjects())
    expect(registry.get_versions("orders-avro-value") == [1, 2], "two versions")
    latest = registry.get_latest_version("orders-avro-value")
    expect((latest.version, latest.schema_id) == (2, 2), latest)
    narrower = Schema(order_schema(2).replace('"long"', '"int"', 1), "AVRO")
    expect(not registry.test_compatibility("orders-avro-value", narrower), "a narrower schema is not compatible")
    expect(registry.test_compatibility("orders-avro-value", Schema(order_schema(2), "AVRO")), "the same is")
    try:
        registry.register_schema("orders-avro-value", narrower)
        sys.exit("wrong: it was registered")
    except Exception as error:
        expect(error.http_status_code == 409, error)
    try:
        registry.get_schema(99)
        sys.exit("wrong: it is there")
    except Exception as error:
        expect(error.error_code == 40403, error)
    registry.set_compatibility("orders-avro-value", level="NONE")
    expect(registry.get_compatibility("orders-avro-value") == "NONE", "a level of its own")
    expect(registry.delete_subject("orders-json-value") == [1], "deleted")


def write(avro, as_json, of):
    from confluent_kafka import Producer

    producer, rows = Producer({"bootstrap.servers": sys.argv[2]}), int(sys.argv[3])
    for number in range(rows):
        version = 1 + (number * 2) // rows
        value = avro[version](order(number, version), of("orders-avro"))
        producer.produce("orders-avro", value, key=str(number))
        producer.produce("orders-json", as_json({"id": number, "status": "new"}, of("orders-json")))
        producer.poll(0)
        if number == rows // 2:
            producer.produce("orders-avro", b"no Avro at all")
            producer.produce("orders-avro", b"\0\0\0\x27\x0f" + value[5:])
    expect(producer.flush(60) == 0, "everything is written")


main()
