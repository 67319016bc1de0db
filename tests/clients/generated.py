"""Tests the client that openapi-python-client generated from the document (module `api_client`).

Usage: python generated.py URL.
"""

import sys

from api_client import Client
from api_client.api.anomalies import acknowledge_anomaly, detect, get_anomaly, list_anomalies
from api_client.api.machines import get_assets, list_machines
from api_client.api.maintenance import list_work_orders
from api_client.api.sensors import get_readings, get_sensor, list_sensors
from api_client.models import DetectBody, OptionalComment

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)


def ok(answer):
    assert answer.status_code < 300, (answer.status_code, answer.content)
    return answer.parsed.to_dict()


sensor = ok(list_sensors.sync_detailed(client=client))["items"][0]
assert sensor["name"] == "plant/hall/pump-7/heat", sensor
# The client encodes slashes of IDs in paths.
assert ok(get_sensor.sync_detailed(id=sensor["name"], client=client))["name"] == sensor["name"]
readings = ok(get_readings.sync_detailed(id=sensor["name"], client=client, points=50))
assert readings["count"] == 500 and len(readings["items"]) == 50, readings["count"]
assert ok(list_machines.sync_detailed(client=client))["items"][0]["asset"] == "plant/hall/pump-7"
assert "pump-7" in str(ok(get_assets.sync_detailed(client=client)))
assert len(ok(list_work_orders.sync_detailed(client=client))["items"]) == 1
found = ok(list_anomalies.sync_detailed(client=client, limit=5))["items"]
assert 1 <= len(found) <= 5, found
acknowledged = ok(acknowledge_anomaly.sync_detailed(id=found[0]["id"], client=client, body=OptionalComment()))
assert [action["action"] for action in acknowledged["actions"]] == ["acknowledge"], acknowledged
assert ok(get_anomaly.sync_detailed(id=found[0]["id"], client=client))["actions"] == acknowledged["actions"]
result = ok(detect.sync_detailed(client=client, body=DetectBody.from_dict({"sensor_data": {
    "sensor_id": sensor["name"], "timestamp": "2026-01-01T00:09:00Z", "values": [10.2, 10.4, 10.5]}})))
assert result["is_anomaly"] is False and result["anomaly_score"] < 0.95, result
print("all requests answered as documented")
