"""A server that answers `_bulk` as Elasticsearch does and keeps the documents, for the long forms of tests."""

import http.server
import json
import threading
import zlib


class Bulk(http.server.BaseHTTPRequestHandler):
    """`server.documents` has (index, id, document) of what was taken; a document with "refuse": true is not."""

    protocol_version = "HTTP/1.1"

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        self.answer({"version": {"number": "9.5.3", "build_flavor": "default"}, "tagline": "You Know, for Search"})

    do_HEAD = do_GET

    def body(self):
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def do_POST(self):
        body = self.body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        items, lines = [], body.splitlines()
        for action, document in zip(lines[::2], lines[1::2]):
            head = next(iter(json.loads(action).values()))
            document = json.loads(document)
            # The index stands in the address where all documents of a request have the same one.
            index = head.get("_index") or self.path.strip("/").split("/")[0]
            item = {"_index": index, "_id": head.get("_id"), "status": 201, "result": "created"}
            if document.get("refuse"):
                reason = "failed to parse field [status] of type [long]"
                item = {"_index": index, "_id": head.get("_id"), "status": 400,
                        "error": {"type": "document_parsing_exception", "reason": reason}}
            else:
                self.server.documents.append((index, head.get("_id"), document))
            items.append({"create": item})
        self.answer({"took": 1, "errors": any("error" in i["create"] for i in items), "items": items})

    def log_message(self, *_):
        pass


def serve():
    """A server on a free port of loopback, on a thread of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bulk)
    server.daemon_threads = True
    server.documents = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
