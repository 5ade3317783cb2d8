// A peer made of js-libp2p, for TestForeignPeer. It reads commands, a line of
// JSON each, and writes what happens the same way:
//
//	{"peer": NAME, "seed": HEX, "topic": TEXT, "dial": [MULTIADDR]}   joins a topic; {"peer", "up": true}
//	{"peer": NAME, "publish": HEX}                                    {"peer", "published": NUMBER of peers it went to}
//	                                                                  {"peer", "frame": HEX} for each that comes
//	                                                                  {"peer", "subscribed": true} once the other side is on the topic
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { createInterface } from 'node:readline'

// libp2p wants what Node 22 has.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new Promise((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}

const { createLibp2p } = await import('libp2p')
const { privateKeyFromRaw } = await import('@libp2p/crypto/keys')
const { gossipsub, StrictNoSign } = await import('@libp2p/gossipsub')
const { identify } = await import('@libp2p/identify')
const { multiaddr } = await import('@multiformats/multiaddr')
const { noise } = await import('@libp2p/noise')
const { tcp } = await import('@libp2p/tcp')
const { yamux } = await import('@libp2p/yamux')

const protocol = '/mutuals/meshsub/1.2.0/2'
// Whom an author reaches stands before each frame: how many, and six bytes of each.
const frameOf = (data) => Buffer.from(data).subarray(1 + 6 * data[0])
const nobody = Buffer.alloc(1)
const peers = new Map()
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')

// Ed25519 as libp2p wants it: the seed and the public key behind it.
function keyOf (seed) {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const priv = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const pub = createPublicKey(priv).export({ format: 'der', type: 'spki' }).subarray(-32)
  return privateKeyFromRaw(Buffer.concat([seed, pub]))
}

async function join ({ peer, seed, topic, dial }) {
  const node = await createLibp2p({
    start: false,
    privateKey: keyOf(Buffer.from(seed, 'hex')),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictNoSign,
        allowPublishToZeroTopicPeers: true,
        msgIdFn: (msg) => createHash('sha256').update(frameOf(msg.data)).digest()
      })
    }
  })
  const pubsub = node.services.pubsub
  pubsub.protocols = [protocol]
  pubsub.addEventListener('message', ({ detail }) => {
    if (detail.topic === topic) say({ peer, frame: frameOf(detail.data).toString('hex') })
  })
  pubsub.addEventListener('subscription-change', ({ detail }) => {
    if (detail.subscriptions.some((s) => s.topic === topic && s.subscribe)) say({ peer, subscribed: true })
  })
  await node.start()
  peers.set(peer, { node, topic })
  pubsub.subscribe(topic)
  await node.dial(dial.map((a) => multiaddr(a)))
  say({ peer, up: true })
}

async function publish ({ peer, publish }) {
  const { node, topic } = peers.get(peer)
  const { recipients } = await node.services.pubsub.publish(topic, Buffer.concat([nobody, Buffer.from(publish, 'hex')]))
  say({ peer, published: recipients.length })
}

// One after the other: a frame is published by a peer that has joined.
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    await (command.publish ? publish(command) : join(command))
  } catch (err) {
    say({ peer: command.peer, error: String(err?.stack ?? err) })
  }
}
await Promise.all([...peers.values()].map(({ node }) => node.stop()))
