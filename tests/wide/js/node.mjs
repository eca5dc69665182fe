// A node that none of us wrote: js-libp2p as bootstrap (DHT server) and relay (circuit relay v2).
//
//   node --import ./polyfill.mjs node.mjs --host 198.18.0.3 --port 4001 --seed js
//   /ip4/198.18.0.3/tcp/4001/p2p/12D3KooW...          the first line; then "connect PEERID" and "disconnect PEERID"
//
// Ends when its stdin does. The same seed makes the same key, so that it can return as who it was. What a relayed
// connection may carry is js-libp2p's own default (2 minutes, 128 KiB) unless told otherwise; --unlimited: anything.
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'

const { values } = parseArgs({ options: {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  seed: { type: 'string', default: 'js' },
  reservations: { type: 'string', default: '64' },
  seconds: { type: 'string' },
  bytes: { type: 'string' },
  unlimited: { type: 'boolean', default: false }
} })
const reservations = { maxReservations: Number(values.reservations), applyDefaultLimit: !values.unlimited }
if (values.seconds !== undefined) reservations.defaultDurationLimit = 1000 * Number(values.seconds)
if (values.bytes !== undefined) reservations.defaultDataLimit = BigInt(values.bytes)

const node = await createLibp2p({
  privateKey: await generateKeyPairFromSeed('Ed25519', createHash('sha256').update(values.seed).digest()),
  addresses: { listen: [`/ip4/${values.host}/tcp/${values.port}`] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', clientMode: false, peerInfoMapper: passthroughMapper }),
    relay: circuitRelayServer({ reservations })
  }
})
node.addEventListener('peer:connect', event => console.log('connect', event.detail.toString()))
node.addEventListener('peer:disconnect', event => console.log('disconnect', event.detail.toString()))
console.log(node.getMultiaddrs()[0].toString())
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
