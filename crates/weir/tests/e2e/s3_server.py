# needs moto[s3]==5.1.22 flask==3.1.2 flask-cors==6.0.1
# A server of the S3 API with the empty bucket `weir`, for tests and benchmarks: says where it is, and serves until its input
# ends. The packages are pinned, so that it is the same tomorrow; of moto's only what S3 needs.
import sys
import urllib.request

from moto.server import ThreadedMotoServer

# What a client says of itself; no signature is checked.
CLIENT = "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
bucket = urllib.request.Request(f"http://{host}:{port}/weir", method="PUT", headers={"Authorization": CLIENT})
urllib.request.urlopen(bucket).close()
print(f"{host}:{port}", flush=True)
sys.stdin.read()
