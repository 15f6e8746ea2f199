type Constructor<Kind> = new () => Kind;

/** The element with this id. Throws an Error if the page has none of this kind. */
export function byId<Kind extends Element>(id: string, kind: Constructor<Kind>): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
}

/** A new element. Text is set as text, never as HTML. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Runs `work` on each click. A failure goes to the console: no work here is expected to fail. */
export function onClick(button: HTMLElement, work: () => Promise<void>): void {
  button.addEventListener('click', () => void work().catch(console.error));
}
