// The order matters: memory.ts has to come before anything that makes a WebAssembly.Memory.
import './memory.ts'
import { newQuickJSWASMModule } from 'quickjs-emscripten'
import { receive, send } from './channel.ts'
import { rehearse } from './play.ts'
import type { Answer, Job } from './protocol.ts'

const play = rehearse(await newQuickJSWASMModule())
send({ is: 'ready' })
const job = receive() as Job
send(
  play(job, (requests) => {
    send({ is: 'waiting', requests })
    return receive() as Answer
  }),
)
process.exit()
