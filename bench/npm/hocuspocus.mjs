// Hocuspocus as its documentation starts it: node hocuspocus.mjs PORT [FILE], with the SQLite extension if FILE is given
import { SQLite } from "@hocuspocus/extension-sqlite"
import { Server } from "@hocuspocus/server"

const [port, database] = process.argv.slice(2)
const extensions = database ? [new SQLite({ database })] : []
await new Server({ address: "127.0.0.1", port: Number(port), quiet: true, extensions }).listen()
