import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  AdminAddUserToGroupCommand,
  AdminCreateUserCommand,
  AdminSetUserPasswordCommand,
  CognitoIdentityProviderClient,
  CreateGroupCommand,
  CreateUserPoolClientCommand,
  CreateUserPoolCommand,
} from '@aws-sdk/client-cognito-identity-provider'

/** A user pool of cognito-local, whose people sign in by email. */
export interface CognitoLocal {
  /** Settings that lead there, as an operator types them. */
  settings: Record<string, string>
  /** Somebody with a password of their own; `temporary`: with one that has to be changed. */
  add(user: {
    email: string
    password: string
    attributes?: Record<string, string>
    groups?: string[]
    temporary?: boolean
  }): Promise<void>
  /** May be called again. */
  stop(): Promise<void>
}

const key = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'local-secret-access-key-of-nobody' }

/** Starts cognito-local on loopback with a folder of its own, and makes a user pool in it over the real SDK. */
export const openCognitoLocal = async (): Promise<CognitoLocal> => {
  const folder = await mkdtemp(join(tmpdir(), 'cognito-local-'))
  const program = fileURLToPath(import.meta.resolve('cognito-local/lib/bin/start.js'))
  const child = spawn(process.execPath, ['--no-warnings', program], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const endpoint = await listening(child)
  const client = new CognitoIdentityProviderClient({ endpoint, region: 'eu-central-1', credentials: key })
  const pool = await client.send(new CreateUserPoolCommand({ PoolName: 'people', UsernameAttributes: ['email'] }))
  const UserPoolId = pool.UserPool?.Id ?? ''
  const app = await client.send(new CreateUserPoolClientCommand({ UserPoolId, ClientName: 'lido' }))
  return {
    settings: {
      region: 'eu-central-1',
      user_pool_id: UserPoolId,
      client_id: app.UserPoolClient?.ClientId ?? '',
      tenant_id_field: 'tenant',
      access_key_id: key.accessKeyId,
      secret_access_key: key.secretAccessKey,
      endpoint,
    },
    add: async ({ email, password, attributes = {}, groups = [], temporary = false }) => {
      const told = Object.entries({ email, email_verified: 'true', ...attributes })
      const UserAttributes = told.map(([Name, Value]) => ({ Name, Value }))
      const who = { UserPoolId, Username: email }
      const made = { ...who, UserAttributes, TemporaryPassword: password, MessageAction: 'SUPPRESS' as const }
      await client.send(new AdminCreateUserCommand(made))
      if (!temporary)
        await client.send(new AdminSetUserPasswordCommand({ ...who, Password: password, Permanent: true }))
      for (const GroupName of groups) {
        await client.send(new CreateGroupCommand({ UserPoolId, GroupName }))
        await client.send(new AdminAddUserToGroupCommand({ ...who, GroupName }))
      }
    },
    stop: async () => {
      client.destroy()
      const ended = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode === null && child.kill()) await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Its address, which is the last thing it says as it starts. */
const listening = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let said = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const address = /running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (address) resolve(address)
    })
    child.once('error', reject).once('exit', (code) => reject(new Error(`cognito-local ended with ${code}: ${said}`)))
  })
