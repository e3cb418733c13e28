// The chat room: the newest message at the bottom.

import { byId, make, outcome } from './dom.js';

const kept = 100;

export function showChat(subscribe, connection) {
  const list = byId('messages');
  subscribe('DISTINCT', ['chat_room'], ['raw_timestamp', 'timestamp', 'IP', 'nick', 'message'], {
    // A new session brings the last messages again.
    onSubscription: () => list.replaceChildren(),
    onClearSnapshot: () => list.replaceChildren(),
    // Only what is said from now on is read out to those who cannot see it.
    onEndOfSnapshot: () => { list.setAttribute('aria-live', 'polite'); },
    onItemUpdate: (update) => show(list, update),
    onSubscriptionError: (code, message) => outcome(byId('post-outcome'), `No chat: ${message} (code ${code})`, true),
  }, (subscription) => {
    subscription.setDataAdapter('CHAT_ROOM');
    subscription.setRequestedSnapshot('yes');
  });
  byId('post').addEventListener('submit', async () => {
    const input = byId('post-text');
    const text = input.value;
    try {
      await connection.send(`CHAT|${text}`, 'CHAT', () => outcome(byId('post-outcome'), 'Sending …'));
      if (input.value === text) input.value = '';
      outcome(byId('post-outcome'), '');
    } catch (error) {
      outcome(byId('post-outcome'), error.message, true);
    }
  });
}

function show(list, update) {
  const atBottom = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const message = make('div', 'message');
  const when = make('time', 'when', update.getValue('timestamp'));
  when.dateTime = new Date(Number(update.getValue('raw_timestamp'))).toISOString();
  const who = make('span', 'who', update.getValue('nick'));
  who.title = update.getValue('IP') ?? '';
  message.append(when, who, make('span', 'text', update.getValue('message')));
  list.append(message);
  while (list.childElementCount > kept) list.firstElementChild.remove();
  if (atBottom) list.scrollTop = list.scrollHeight;
}
