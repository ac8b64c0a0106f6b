// The official client of the Tasks extension, once to the end of a query and once to its cancel. Writes what it saw.
//
//     node tasks_client.mjs URL        (beside the node_modules with the client)

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";

const url = new URL(process.argv[2]);
const clientInfo = { name: "independent", version: "1" };
const clientCapabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
const client = new Client(clientInfo, { capabilities: clientCapabilities, versionNegotiation: { mode: "auto" } });
await client.connect(new StreamableHTTPClientTransport(url));

// the session leaves the sending of what the client library has no types for to its host
let sent = 0;
const rawDispatch = async (request) => {
  const name = request.params.taskId ?? request.params.name;
  const answer = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ jsonrpc: "2.0", id: ++sent, ...request }),
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": request.method,
      "Mcp-Name": name,
    },
  });
  const message = await answer.json();
  return message.error ? { kind: "error", error: message.error } : { kind: "result", result: message.result };
};
const protocolVersion = "2026-07-28";
const v2RequestFraming = { protocolVersion, clientInfo, clientCapabilities };
const session = createTaskSessionFromClient(client, { endpointId: "test", rawDispatch, v2RequestFraming });

const counting = (n) =>
  `with recursive r(n) as (select 1 union all select n + 1 from r where n < ${n}) select max(n) as n from r`;
const run = (sql) => session.callTool("query", { sql, wait_seconds: 0, fresh: true });

const finite = await run(counting(2_000_000));
const { outcome } = await finite.settle();
const endless = await run(counting(4_000_000_000));
await endless.cancel();
const seen = {
  version: client.getNegotiatedProtocolVersion(),
  kinds: [finite.kind, endless.kind],
  rows: resultFromTaskOutcome(outcome).structuredContent.rows,
  cancelled: (await endless.settle()).outcome.status,
};
console.log(JSON.stringify(seen));
await session.close();
await client.close();
