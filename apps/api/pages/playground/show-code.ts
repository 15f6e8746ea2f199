import { type Answer, type Credential, endpoint } from './ask.js';
import { byId, make, onClick } from '../elements.js';

export interface Exchange {
  credential: Credential;
  fileName: string;
  isAsync: boolean;
  /** `undefined` before the first answer. */
  answer: Answer | undefined;
}

/** The tabs below the photo: the answer, and programs that send the same request. */
export function createCodeTabs() {
  const list = document.querySelector('[role="tablist"]')!;
  const panel = byId('code', HTMLElement);
  let chosen = 'Answer';
  let exchange: Exchange | undefined;
  const buttons = Object.keys(writers).map((name) => {
    const button = make('button', { type: 'button', textContent: name });
    button.setAttribute('role', 'tab');
    button.setAttribute('aria-controls', panel.id);
    button.addEventListener('click', () => choose(name));
    return button;
  });
  list.append(...buttons);
  const copy = byId('copy', HTMLButtonElement);
  onClick(copy, async () => {
    copy.textContent = (await copyText(panel)) ? 'Copied' : 'Press Ctrl+C';
  });
  list.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[(event as KeyboardEvent).key];
    const names = Object.keys(writers);
    if (by === undefined) return;
    choose(names.at((names.indexOf(chosen) + by) % names.length)!);
    buttons[names.indexOf(chosen)]!.focus();
  });
  choose(chosen);

  return {
    show(next: Exchange) {
      exchange = next;
      choose(chosen);
    },
  };

  function choose(name: string): void {
    chosen = name;
    copy.textContent = 'Copy';
    for (const button of buttons) {
      const isChosen = button.textContent === name;
      button.setAttribute('aria-selected', String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;
    }
    panel.textContent = exchange ? writers[name]!(exchange) : 'The answer will be here.';
  }
}

/** False where the browser does not let the page copy: the text is selected then. */
async function copyText(panel: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(panel.textContent ?? '');
    return true;
  } catch {
    getSelection()?.selectAllChildren(panel);
    return false;
  }
}

const writers: Record<string, (exchange: Exchange) => string> = {
  Answer: writeAnswer,
  curl: writeCurl,
  'Node.js': writeNode,
  Python: writePython,
};

function writeAnswer({ answer }: Exchange): string {
  if (!answer) return 'Waiting for the answer.';
  const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP ${answer.httpStatus}`, ...headers].join('\n');
  return `${head}\n\n${JSON.stringify(answer.body, null, 2)}`;
}

function writeCurl({ credential, fileName, isAsync }: Exchange): string {
  const { username, password, key } = credential;
  return [
    `curl ${endpoint}`,
    `-u ${quote(`${username}:${password}`)}`,
    `-H ${quote(`x-api-key: ${key}`)}`,
    `-H 'Livegate-Quality: report'`,
    ...(isAsync ? [`-H 'Prefer: respond-async'`] : []),
    `-F ${quote(`image=@${asCurlFile(fileName)}`)}`,
  ].join(' \\\n  ');
}

/** A bare comma would send a second file, and a bare semicolon begins an option. */
function asCurlFile(name: string): string {
  return /[,;"\\]/.test(name) ? `"${name.replaceAll(/["\\]/g, String.raw`\$&`)}"` : name;
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function writeNode(exchange: Exchange): string {
  const headers = listHeaders(exchange).map(([name, value]) => `    ${literal(name)}: ${value},`);
  return `import { openAsBlob } from 'node:fs';

const { username, password } = ${literal({ username: exchange.credential.username, password: exchange.credential.password })};
const basic = Buffer.from(\`\${username}:\${password}\`).toString('base64');
const form = new FormData();
form.append('image', await openAsBlob(${literal(exchange.fileName)}));
const response = await fetch(${literal(endpoint)}, {
  method: 'POST',
  headers: {
    Authorization: \`Basic \${basic}\`,
${headers.join('\n')}
  },
  body: form,
});
console.log(response.status, await response.json());`;
}

function writePython(exchange: Exchange): string {
  const { username, password } = exchange.credential;
  const headers = listHeaders(exchange).map(([name, value]) => `${literal(name)}: ${value}`);
  return `import requests

with open(${literal(exchange.fileName)}, "rb") as image:
    response = requests.post(
        ${literal(endpoint)},
        auth=(${literal(username)}, ${literal(password)}),
        headers={${headers.join(', ')}},
        files={"image": image},
    )
print(response.status_code, response.json())`;
}

/** Names with their values as string literals, which are the same in both languages. */
function listHeaders({ credential, isAsync }: Exchange): [string, string][] {
  return [
    ['x-api-key', literal(credential.key)],
    ['Livegate-Quality', literal('report')],
    ...(isAsync ? [['Prefer', literal('respond-async')] as [string, string]] : []),
  ];
}

function literal(value: unknown): string {
  return JSON.stringify(value);
}
