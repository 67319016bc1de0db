"""Uses the client that openapi-python-client made from the document (module `made`): python generated.py URL."""

import sys

from made import Client
from made.api.anomalies import acknowledge_anomaly, detect, get_anomaly, list_anomalies
from made.api.machines import get_assets, list_machines
from made.api.maintenance import list_work_orders
from made.api.sensors import get_readings, get_sensor, list_sensors
from made.models import Detection, Note

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)


def ok(answer):
    assert answer.status_code < 300, (answer.status_code, answer.content)
    return answer.parsed.to_dict()


sensor = ok(list_sensors.sync_detailed(client=client))["items"][0]
assert sensor["name"] == "plant/hall/pump-7/heat", sensor
# Ids with slashes in a path are encoded by the client.
assert ok(get_sensor.sync_detailed(id=sensor["name"], client=client))["name"] == sensor["name"]
course = ok(get_readings.sync_detailed(id=sensor["name"], client=client, points=50))
assert course["count"] == 500 and len(course["items"]) == 50, course["count"]
assert ok(list_machines.sync_detailed(client=client))["items"][0]["asset"] == "plant/hall/pump-7"
assert "pump-7" in str(ok(get_assets.sync_detailed(client=client)))
assert len(ok(list_work_orders.sync_detailed(client=client))["items"]) == 1
found = ok(list_anomalies.sync_detailed(client=client, limit=5))["items"]
assert 1 <= len(found) <= 5, found
done = ok(acknowledge_anomaly.sync_detailed(id=found[0]["id"], client=client, body=Note()))
assert [action["action"] for action in done["actions"]] == ["acknowledge"], done["actions"]
assert ok(get_anomaly.sync_detailed(id=found[0]["id"], client=client))["actions"] == done["actions"]
judged = ok(detect.sync_detailed(client=client, body=Detection.from_dict({"sensor_data": {
    "sensor_id": sensor["name"], "timestamp": "2026-01-01T00:09:00Z", "values": [10.2, 10.4, 10.5]}})))
assert judged["is_anomaly"] is False and judged["anomaly_score"] < 0.95, judged
print("all as documented")
